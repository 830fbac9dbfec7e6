//! Reads {"pattern", "minLength", "maxLength", "texts"} as JSON, and prints which texts Rust's regex finds valid.
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    pattern: String,
    min_length: usize,
    max_length: usize,
    texts: Vec<String>,
}

fn main() {
    let limits: Limits = serde_json::from_reader(std::io::stdin()).expect("JSON");
    let pattern = regex::Regex::new(&limits.pattern).expect("a pattern");
    let is_valid = |text: &String| {
        (limits.min_length..=limits.max_length).contains(&text.chars().count()) && pattern.is_match(text)
    };
    let valid: Vec<bool> = limits.texts.iter().map(is_valid).collect();
    println!("{}", serde_json::to_string(&valid).expect("JSON"));
}
