//! Memory that can be run: written first, then never again.
//!
//! Pages are writable or executable, never both. Refuses to change code once it can run.

/// Code that stays at its place until it is dropped.
pub struct Pages {
    start: *mut u8,
    length: usize,
}

// SAFETY: the memory is only read and run once it exists.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// A copy of `code` that can be run; `None` where the system forbids such memory.
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
    pub fn new(code: &[u8]) -> Option<Pages> {
        if code.is_empty() {
            return None;
        }
        let length = code.len().next_multiple_of(4096);
        // SAFETY: a new mapping overlaps nothing; it is as long as what is copied, and writable until
        // it becomes executable.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return None;
            }
            let pages = Pages { start: start.cast(), length };
            std::ptr::copy_nonoverlapping(code.as_ptr(), pages.start, code.len());
            (libc::mprotect(start, length, libc::PROT_READ | libc::PROT_EXEC) == 0).then_some(pages)
        }
    }

    /// No such memory here.
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(miri))))]
    pub fn new(_: &[u8]) -> Option<Pages> {
        None
    }

    /// The address of a byte.
    pub fn at(&self, offset: usize) -> *const u8 {
        debug_assert!(offset < self.length);
        self.start.wrapping_add(offset)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        #[cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]
        // SAFETY: the mapping is this one's own; whoever could run it borrows this.
        unsafe {
            libc::munmap(self.start.cast(), self.length);
        }
    }
}
