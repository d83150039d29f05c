//! Environment variables, as people and their tools set them.

/// The value of a variable. One that is set to nothing, as compose files and shells do with unset ones, is unset.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
