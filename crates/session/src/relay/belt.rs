//! Owns the passage of bytes between two buffers: what passes as it came is gathered and moved at
//! once, what is put between lands in its place.

use buf::Plain;

/// From one buffer to another. `done` bytes of the input pass next.
pub(super) struct Belt<'a> {
    input: &'a mut Plain,
    output: &'a mut Plain,
    done: usize,
}

impl<'a> Belt<'a> {
    pub fn new(input: &'a mut Plain, output: &'a mut Plain) -> Belt<'a> {
        Belt {
            input,
            output,
            done: 0,
        }
    }

    /// What is still to be judged.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        &self.input.bytes()[self.done..]
    }

    /// Bytes that may still pass or be put.
    #[inline]
    pub fn room(&self) -> usize {
        self.output.room() - self.done
    }

    /// The longest frame whose end may be waited for.
    #[inline]
    pub fn frame_max(&self) -> usize {
        self.input.capacity() / 2
    }

    /// Lets up to `count` bytes pass, as far as they are here and fit; gives how many.
    #[inline]
    pub fn pass(&mut self, count: usize) -> usize {
        let count = count.min(self.rest().len()).min(self.room());
        self.done += count;
        count
    }

    /// Moves what passes.
    #[inline]
    pub fn flush(&mut self) {
        if self.done > 0 {
            let moved = self.input.pour(self.done, self.output);
            debug_assert_eq!(moved, self.done);
            self.done = 0;
        }
    }

    /// Puts bytes of our own, for which there is room.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.flush();
        let pushed = self.output.push(bytes);
        debug_assert!(pushed.is_ok());
    }

    /// Puts a part of the rest, which stays where it is.
    #[inline]
    pub fn put_part(&mut self, start: usize, end: usize) {
        self.flush();
        let pushed = self.output.push(&self.input.bytes()[start..end]);
        debug_assert!(pushed.is_ok());
    }

    /// Moves bytes from another buffer, as many as fit.
    pub fn pour(&mut self, from: &mut Plain) {
        self.flush();
        from.pour(self.output.room().min(from.len()), self.output);
    }

    /// Drops up to `count` bytes that don't pass; gives how many.
    #[inline]
    pub fn drop(&mut self, count: usize) -> usize {
        self.flush();
        let count = count.min(self.input.len());
        self.input.consume(count);
        count
    }

    /// Moves up to `count` bytes aside, into a buffer that has room for them.
    pub fn set_aside(&mut self, count: usize, to: &mut Plain) {
        self.flush();
        self.input.pour(count, to);
    }
}
