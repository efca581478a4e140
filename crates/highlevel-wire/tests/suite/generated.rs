//! The source that the crate is compiled from.

#[cfg(feature = "generate")]
const COMPILED: &str = include_str!(concat!(env!("OUT_DIR"), "/generated.rs"));
#[cfg(not(feature = "generate"))]
const COMPILED: &str = include_str!("../../src/generated.rs");

#[test]
fn the_compiled_source_is_the_output_of_the_generator() {
    let output = highlevel_codegen::run_embedded().expect("the spec is valid");
    // The texts are too long for `assert_eq`.
    assert!(COMPILED == output.source, "run `cargo xtask codegen` and commit the result");
}
