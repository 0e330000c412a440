//! (being written)

impl std::fmt::Debug for super::Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({:?} {})", self.shape(), self.dtype())
    }
}
