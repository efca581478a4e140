//! A depth-first search through all choices of a run.

/// The choices of one run. Each run takes the first path that was not taken yet.
#[derive(Default)]
pub(super) struct Choices {
    pub(super) path: Vec<(usize, usize)>,
    depth: usize,
}

impl Choices {
    pub(super) fn choose(&mut self, options: usize) -> usize {
        if self.depth == self.path.len() {
            self.path.push((0, options));
        }
        let (choice, known) = self.path[self.depth];
        assert_eq!(known, options, "a run depends on its choices only");
        self.depth += 1;
        choice
    }

    /// Starts the next path. Returns `false` if all were taken.
    pub(super) fn next_path(&mut self) -> bool {
        self.depth = 0;
        while let Some((choice, options)) = self.path.pop() {
            if choice + 1 < options {
                self.path.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}
