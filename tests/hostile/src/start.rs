//! What the component does before any of its functions is called.
#![expect(unsafe_code, reason = "a constructor is a pointer in a section of the linker's")]

use chord_wit::weights;

#[used]
// SAFETY: the section holds pointers to functions of this type, which run once when the component is instantiated.
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Sleeps or loops if the model's name asks for it.
extern "C" fn start() {
    if weights::open("sleep-at-start.gguf").is_ok() {
        crate::exhaust::sleep();
    }
    if weights::open("loop-at-start.gguf").is_ok() {
        crate::endless();
    }
}
