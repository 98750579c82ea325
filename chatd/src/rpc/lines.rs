//! Cuts a byte stream into lines and skips those that are too long.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What the reader found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, its end stripped; never blank.
    Text(Vec<u8>),
    /// A line over the limit; it was skipped to its end.
    TooLong,
}

impl Line {
    /// What it takes to keep it.
    pub(super) const fn bytes(&self) -> usize {
        let text = match self {
            Self::Text(text) => text.capacity(),
            Self::TooLong => 0,
        };
        text + size_of::<Self>()
    }
}

/// Reads lines of at most `limit` bytes; memory stays below that, whatever comes.
pub(super) struct Lines<R> {
    input: R,
    limit: usize,
    line: Vec<u8>,
    skipping: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) const fn new(input: R, limit: usize) -> Self {
        Self { input, limit, line: Vec::new(), skipping: false }
    }

    /// What is read from.
    pub(super) const fn input(&self) -> &R {
        &self.input
    }

    /// The next line; the last one may lack its newline. `None` at the end or when reading fails.
    ///
    /// Cancel-safe: what was read is kept here.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            let Ok(chunk) = self.input.fill_buf().await else { return None };
            if chunk.is_empty() {
                return self.finish();
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            self.skipping |= self.line.len() + part.len() > self.limit;
            if self.skipping {
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some()
                && let Some(line) = self.finish()
            {
                return Some(line);
            }
        }
    }

    /// Hands out what was gathered, unless it is blank.
    fn finish(&mut self) -> Option<Line> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            return Some(Line::TooLong);
        }
        (!line.trim_ascii().is_empty()).then_some(Line::Text(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], chunk: usize) -> Vec<Line> {
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(chunk, input), 4);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_arrive() {
        for chunk in 1..12 {
            let found = read(b"ab\n\r\n   \n12345\n1234\ncd", chunk).await;
            let text = |text: &str| Line::Text(text.as_bytes().to_vec());
            assert_eq!(found, [text("ab"), Line::TooLong, text("1234"), text("cd")], "chunks of {chunk}");
        }
    }

    #[tokio::test]
    async fn an_endless_line_is_never_kept() {
        let input = vec![b'x'; 1 << 20];
        let mut lines = Lines::new(tokio::io::BufReader::new(input.as_slice()), 4);
        assert_eq!(lines.next().await, Some(Line::TooLong));
        assert_eq!(lines.line.capacity(), 0);
    }
}
