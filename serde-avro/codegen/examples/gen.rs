fn main() {
    let code = avouch_codegen::Generator::new().borrowed(std::env::var_os("REF").is_some()).generate_files(std::env::args().skip(1));
    match code { Ok(code) => print!("{code}"), Err(e) => eprintln!("{e}") }
}
