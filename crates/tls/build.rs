//! Hands on the version of the OpenSSL headers, which `openssl-sys` found, to the code: its
//! build script publishes it as `DEP_OPENSSL_VERSION_NUMBER`.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_OPENSSL_VERSION_NUMBER");
    let version = std::env::var("DEP_OPENSSL_VERSION_NUMBER").unwrap_or_default();
    println!("cargo:rustc-env=PORTCULLIS_OPENSSL_HEADERS={version}");
}
