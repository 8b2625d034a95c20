//! What counts depend on apart from our code.

use std::process::Command;

/// Compiler, C library (allocation, copies), valgrind and what the processor offers: `memchr` and the C library
/// choose their code by that.
pub fn describe() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let line = output.as_deref().and_then(|text| text.lines().next());
        line.unwrap_or("unknown").trim().to_owned()
    };
    let compiler = env!("COMPILER");
    let library = first_line("getconf", "GNU_LIBC_VERSION");
    let valgrind = first_line("valgrind", "--version");
    format!("{compiler}; {library}; {valgrind}; {}", processor())
}

#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    match std::arch::is_x86_feature_detected!("avx2") {
        true => "x86_64 with AVX2",
        false => "x86_64 without AVX2",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn processor() -> &'static str {
    std::env::consts::ARCH
}
