//! Tells the bench which compiler it is built with: counts of different compilers are not alike.

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").expect("cargo says which compiler it uses");
    let output = Command::new(compiler).arg("-V").output();
    let output = output.expect("the compiler that compiled this says its version");
    let version = String::from_utf8_lossy(&output.stdout);
    println!("cargo::rustc-env=COMPILER={}", version.trim());
    // Cargo runs this again when the compiler changes.
    println!("cargo::rerun-if-changed=build.rs");
}
