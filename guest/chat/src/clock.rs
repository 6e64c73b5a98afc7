//! `strftime_now`: the caller's time, as Python writes it.

use chrono::{DateTime, FixedOffset};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// A moment, and where it is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970.
    pub now: i64,
    /// Seconds by which local time is ahead of UTC.
    pub utc_offset: i32,
}

impl Clock {
    /// Local time in `format`, of Python's `strftime`.
    pub(crate) fn write(self, format: &str) -> Result<String, Error> {
        let wrong =
            || Error::new(ErrorKind::InvalidOperation, format!("date format `{format}` is not valid"));
        let zone = FixedOffset::east_opt(self.utc_offset).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("UTC offset of {} s: expected less than a day", self.utc_offset),
            )
        })?;
        let time = DateTime::from_timestamp(self.now, 0).ok_or_else(wrong)?.with_timezone(&zone);
        let mut text = String::new();
        write!(text, "{}", time.format(&python(format))).map_err(|_| wrong())?;
        Ok(text)
    }
}

/// The format as `chrono` has it: microseconds, and no zone, since Python's local time knows none.
fn python(format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('f')) => out += "%6f",
            ('%', Some('z' | 'Z')) => {}
            (c, next) => out.extend(std::iter::once(c).chain(next)),
        }
    }
    out
}
