//! Zeroed memory at a 64-byte boundary, which costs nothing until it is touched.
//!
//! Refuses to know what lies in it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// An owned run of initialised bytes.
pub struct Memory {
    /// What was allocated.
    base: NonNull<u8>,
    layout: Layout,
    /// The first byte in use, at a multiple of [`ALIGNMENT`].
    start: NonNull<u8>,
    len: usize,
    /// Whether nobody can have written to it yet, so that it is all zero.
    untouched: bool,
}

/// The widest vector register, and a cache line.
const ALIGNMENT: usize = 64;

/// The size of a large page on the systems that have them.
const LARGE_PAGE: usize = 2 << 20;

/// Bytes from which a block is given large pages of its own.
const LARGE: usize = 3 << 20;

// SAFETY: the bytes are owned, and reached only through references to their owner.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// `len` bytes of zero. Ends the process where there is no such memory.
    pub fn zeroed(len: usize) -> Memory {
        Memory::try_zeroed(len).unwrap_or_else(|| handle_alloc_error(Layout::new::<u8>()))
    }

    /// `len` bytes of zero, if the system has them.
    pub fn try_zeroed(len: usize) -> Option<Memory> {
        // Large blocks start and end with a large page, so that all of them can be such pages.
        let (alignment, room) = match len {
            0..LARGE => (ALIGNMENT, len),
            _ => (LARGE_PAGE, len.checked_next_multiple_of(LARGE_PAGE)?),
        };
        // Asked for at the allocator's own alignment, large blocks come straight from the system,
        // which hands out zeros without writing them; a stricter alignment would write them here.
        let layout = Layout::from_size_align(room.checked_add(alignment)?, 16).ok()?;
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let skip = base.as_ptr().align_offset(alignment);
        // SAFETY: at most `alignment` bytes are skipped, and as many more were allocated.
        let start = unsafe { base.add(skip) };
        let memory = Memory { base, layout, start, len, untouched: true };
        if len >= LARGE {
            memory.ask_for_large_pages(room);
        }
        Some(memory)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes from `start` on, borrowed as long as their owner.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Whether it is known, without a look at it, that all bytes are zero.
    pub fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.untouched = false;
        // SAFETY: as above, mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The first byte, to be written through for as long as the owner lives: no reference to the bytes is made, so
    /// that earlier pointers stay good.
    pub fn first_mut(&mut self) -> *mut u8 {
        self.untouched = false;
        self.start.as_ptr()
    }

    /// Memory fresh from the system is mapped when it is first touched, page by page; with large
    /// pages that is hundreds of times less often. Only a hint: nothing depends on the answer.
    fn ask_for_large_pages(&self, bytes: usize) {
        #[cfg(all(target_os = "linux", not(miri)))]
        // SAFETY: the range lies inside the allocation, and the advice changes no content.
        unsafe {
            libc::madvise(self.start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        let _ = bytes;
    }
}

impl Clone for Memory {
    fn clone(&self) -> Memory {
        let mut copy = Memory::zeroed(self.len);
        if self.untouched {
            return copy;
        }
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
