//! Paths in words for people, who copy them.

use std::fmt;
use std::path::{Path, PathBuf};

/// A path that prints so that a shell takes it as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(PathBuf);

impl From<&Path> for Quoted {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string_lossy();
        // refused is only a NUL, which no path holds
        f.write_str(&shlex::try_quote(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_messages_can_be_pasted() {
        assert_eq!(Quoted::from(Path::new("/a/b-c")).to_string(), "/a/b-c");
        assert_eq!(Quoted::from(Path::new("/not here")).to_string(), "'/not here'");
        for path in ["/it's here", "/a\"b`c$d", "/-e;f", "/g\\h"] {
            let pasted = Quoted::from(Path::new(path)).to_string();
            assert_eq!(shlex::split(&format!("chmod 600 {pasted}")).unwrap(), ["chmod", "600", path]);
        }
    }
}
