//! Owns the reading of the SQL that the model knows: statements, words, literals. Much simpler than
//! PostgreSQL, and on purpose another reading than crate `sql` has.

/// Statements of a text, without what is around them.
pub fn statements(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for char in text.chars() {
        quoted ^= char == '\'';
        match char {
            ';' if !quoted => parts.push(String::new()),
            _ => parts.last_mut().expect("one at least").push(char),
        }
    }
    let parts = parts.into_iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// The string literals in a text, in order. A doubled quote is one.
pub fn literals(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '\'' {
            continue;
        }
        let mut value = String::new();
        while let Some(char) = chars.next() {
            match char {
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    value.push('\'');
                }
                '\'' => break,
                _ => value.push(char),
            }
        }
        found.push(value);
    }
    found
}

/// What stands between two pieces of text.
pub fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

/// The parameter of SET or RESET, and what it is set to.
pub fn assignment(text: &str) -> (String, Option<String>) {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.trim())),
        None => (text, None),
    };
    let name = name.trim().trim_matches('"').to_lowercase();
    let value = value.map(|value| match literals(value).pop() {
        Some(literal) => literal,
        None => value.to_owned(),
    });
    (name, value)
}
