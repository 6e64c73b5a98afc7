//! Every pre-tokenizer: names, how text is split, what else the name implies.

use super::{Pass, Pre, Spaces, Spelling, digits, gpt2, llama3, newlines};

/// What most rows have in common.
const PLAIN: Pre = Pre {
    names: &[],
    passes: &[],
    spelling: Spelling::ByteLevel,
    ignore_merges: false,
    add_bos: false,
    no_bos: false,
};

const GPT2: Pass = Pass::First(gpt2::first);
const LLAMA3: Pass = Pass::First(llama3::first::<3>);
const QWEN2: Pass = Pass::First(llama3::first::<1>);
const NEWLINES: Pass = Pass::First(newlines);

/// Matches and what is between them; white space stays with either.
const fn parts(expression: &'static str) -> Pass {
    Pass::Expression(expression, Spaces::Part)
}

/// An expression that ends in `|\s+(?!\S)|\s+`, which is not written out.
const fn words(expression: &'static str) -> Pass {
    Pass::Expression(expression, Spaces::LeaveLast)
}

/// Contractions in any case.
macro_rules! contractions {
    () => {
        r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    };
}

/// Words as GPT-4o splits them: upper case, then lower case. `$upper`, `$lower`: classes; `$suffix`: behind a word.
macro_rules! cased {
    ($upper:expr, $lower:expr, $suffix:expr, $numbers:expr) => {
        concat!(
            r"[^\r\n\p{L}\p{N}]?",
            $upper,
            "*",
            $lower,
            "+",
            $suffix,
            r"|[^\r\n\p{L}\p{N}]?",
            $upper,
            "+",
            $lower,
            "*",
            $suffix,
            "|",
            $numbers,
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
        )
    };
}

/// Letters that are no ASCII lower case, and no ASCII upper case: how llama.cpp tells cases apart.
macro_rules! upper {
    () => {
        r"[\p{L}--[a-z]]"
    };
}
macro_rules! lower {
    () => {
        r"[\p{L}--[A-Z]]"
    };
}

/// Cases by Unicode's categories, as llama.cpp reads them: all of them are letters.
macro_rules! any_letter_or_mark {
    () => {
        r"[\p{L}\p{M}]"
    };
}

/// Han, by blocks.
macro_rules! han {
    () => {
        r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
    };
}

/// Punctuation before a word, words with marks, punctuation and symbols, line ends.
const DEEPSEEK3_WORDS: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
);
const CJK: &str = r"[一-龥\x{3040}-ゟ゠-ヿ]+";
/// White space is never among these, wide as the ranges are.
const DEEPSEEK_HAN: &str = r"[一-龥ࠀ-一가-\x{D7FF}--\s]+";
/// Letters of alphabets with case (ID_Start of Latin, Greek, Cyrillic, …), as the model's own expression lists them.
const DEEPSEEK_LETTERS: &str = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// Every pre-tokenizer.
pub(crate) const TABLE: &[Pre] = &[
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "jina-es",
            "jina-de",
            "gigachat",
            "jina-v2-es",
            "jina-v2-de",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "exaone4",
            "mpt",
            "olmo",
            "jais",
            "trillion",
            "granite-docling",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
        ],
        passes: &[GPT2],
        ..PLAIN
    },
    Pre {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "jina-v5-nano",
        ],
        passes: &[LLAMA3],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "qwen2",
            "deepseek-r1-qwen",
            "kormo",
            "f2llmv2",
            "megrez",
            "stablelm2",
            "hunyuan",
            "solar-open",
            "grok-2",
        ],
        passes: &[QWEN2],
        ..PLAIN
    },
    Pre {
        names: &["qwen35"],
        passes: &[words(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
        ))],
        ..PLAIN
    },
    Pre { names: &["dbrx", "smaug-bpe"], passes: &[LLAMA3], ..PLAIN },
    Pre { names: &["chatglm-bpe"], passes: &[LLAMA3], no_bos: true, ..PLAIN },
    Pre { names: &["glm4", "glm5"], passes: &[LLAMA3], ignore_merges: true, no_bos: true, ..PLAIN },
    Pre {
        names: &["default", ""],
        passes: &[parts(r"[\p{P}\$\+<=>\^\~\|]+"), GPT2, parts(r"\p{N}+"), parts("[0-9][0-9][0-9]")],
        ..PLAIN
    },
    Pre {
        names: &["falcon"],
        passes: &[parts(r"[\p{P}\$\+<=>\^\~\|`]+"), GPT2, parts("[0-9][0-9][0-9]")],
        ..PLAIN
    },
    Pre {
        names: &[
            "starcoder",
            "refact",
            "command-r",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        passes: &[parts(r"\p{N}"), GPT2],
        ..PLAIN
    },
    Pre {
        names: &["jais-2"],
        passes: &[Pass::Expression(
            concat!(
                contractions!(),
                r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
            ),
            Spaces::Powers,
        )],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-llm"],
        passes: &[
            parts(r"[\r\n]"),
            parts(DEEPSEEK_LETTERS),
            parts(r"\s?[!-/:-\~！-／：-～‘-‟\x{3001}-。]+"),
            parts(r"\s+\z"),
            parts(DEEPSEEK_HAN),
            parts(r"\p{N}+"),
        ],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-coder"],
        passes: &[
            parts(r"[\r\n]"),
            parts(r"\s?\p{L}+"),
            parts(r"\s?\p{P}+"),
            parts(DEEPSEEK_HAN),
            parts(r"\p{N}"),
        ],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
        passes: &[parts(r"\p{N}{1,3}"), parts(CJK), words(DEEPSEEK3_WORDS)],
        ..PLAIN
    },
    Pre {
        names: &["spark2_5"],
        passes: &[
            parts(r"\p{N}{1,3}"),
            parts(CJK),
            words(concat!(
                r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"##,
                r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]"
            )),
            parts(r"\p{N}"),
        ],
        ..PLAIN
    },
    Pre {
        names: &["youtu"],
        passes: &[
            parts(r"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥\x{3040}-ゟ゠-ヿ]+"),
            words(cased!(
                any_letter_or_mark!(),
                any_letter_or_mark!(),
                concat!(contractions!(), "?"),
                r"\p{N}"
            )),
        ],
        ignore_merges: true,
        ..PLAIN
    },
    Pre { names: &["poro-chat", "bloom", "gpt3-finnish"], passes: &[parts(BLOOM)], ..PLAIN },
    Pre { names: &["viking"], passes: &[parts(BLOOM), parts(r"\p{N}")], ..PLAIN },
    Pre {
        names: &["tekken"],
        passes: &[words(cased!(upper!(), lower!(), "", r"\p{N}"))],
        ignore_merges: true,
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["chameleon"],
        passes: &[
            parts("<sentinel:[0-9]+>"),
            parts("(?:IMGIMG)[A-I]{1,4}Z"),
            parts(r"[\t\n]|    |  "),
            parts(r"\p{N}"),
            parts(r"[\p{P}!-/:-@\[-`\{-\~]"),
            GPT2,
        ],
        add_bos: true,
        ..PLAIN
    },
    Pre {
        names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
        passes: &[words(cased!(upper!(), lower!(), concat!(contractions!(), "?"), r"\p{N}{1,3}"))],
        ..PLAIN
    },
    Pre {
        names: &["granite-embed-multi-97m"],
        passes: &[words(cased!(
            r"[\p{L}\p{M}--[a-z]]",
            r"[\p{L}\p{M}--[A-Z]]",
            concat!(contractions!(), "?"),
            r"\p{N}{1,3}"
        ))],
        ignore_merges: true,
        ..PLAIN
    },
    Pre {
        names: &["tiny_aya", "cohere2moe"],
        passes: &[
            Pass::First(digits::threes_from_the_right),
            words(cased!(
                any_letter_or_mark!(),
                any_letter_or_mark!(),
                concat!(contractions!(), "?"),
                r"\p{N}{1,3}"
            )),
        ],
        ..PLAIN
    },
    Pre {
        names: &["kimi-k2"],
        passes: &[words(concat!(
            "[",
            han!(),
            r"]+|[^\r\n\p{L}\p{N}]?[\p{L}--[",
            han!(),
            "]]+",
            contractions!(),
            r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        ))],
        ..PLAIN
    },
    Pre { names: &["superbpe"], passes: &[parts(r"\p{N}+"), Pass::First(digits::groups_of_three)], ..PLAIN },
    Pre {
        names: &["bailingmoe", "bailingmoe2", "llada-moe"],
        passes: &[words(
            r"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]",
        )],
        ..PLAIN
    },
    Pre {
        names: &["seed-coder"],
        passes: &[words(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+"
        ))],
        ..PLAIN
    },
    Pre {
        names: &["ufakzeka"],
        passes: &[words(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+")],
        ..PLAIN
    },
    Pre {
        names: &["afmoe"],
        passes: &[
            Pass::First(digits::threes_from_the_right),
            parts(
                r"[一-鿿㐀-䶿\x{8C48}-\x{FAFF}\x{3040}-ゟ゠-ヿ･-ﾟ⼀-\x{2FDF}เ-\x{0E7F}\x{0E80}-\x{0EFF}ក-\x{17FF}က-႟ꩠ-ꩿꧠ-\x{A9FF}가-\x{D7AF}ᄀ-ᇿ]+",
            ),
            words(DEEPSEEK3_WORDS),
        ],
        ..PLAIN
    },
    Pre { names: &["laguna"], passes: &[NEWLINES, QWEN2], ..PLAIN },
    Pre {
        names: &["exaone-moe"],
        passes: &[words(concat!(
            contractions!(),
            r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]"
        ))],
        ..PLAIN
    },
    Pre {
        names: &["minicpm5"],
        passes: &[
            parts(r"\p{N}{1,3}"),
            words(concat!(
                contractions!(),
                r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
            )),
        ],
        ignore_merges: true,
        ..PLAIN
    },
    Pre {
        names: &["gemma4", "granite-embed-multi-311m"],
        passes: &[NEWLINES],
        spelling: Spelling::Escaped { line_ends_are_tokens: true },
        ..PLAIN
    },
    Pre {
        names: &["sarvam-moe"],
        passes: &[NEWLINES],
        spelling: Spelling::Escaped { line_ends_are_tokens: false },
        ..PLAIN
    },
    Pre { names: &["whitespace"], passes: &[parts(r"\S+")], spelling: Spelling::Raw, ..PLAIN },
];
