//! Where a node comes from: the user's source line and the scope that was open there.
//!
//! The open scope is kept per thread. It is a label and nothing else: no value, shape or
//! derivative ever depends on it.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::Location;
use std::sync::Arc;

/// The source line and scope that made a node.
#[derive(Clone)]
pub struct Origin {
    location: &'static Location<'static>,
    scope: Option<Arc<str>>,
    backward: bool,
    /// Of an operation in a body that is being compiled, its place in the program's list of origins.
    site: Option<NonZeroU32>,
}

#[derive(Default)]
struct Labels {
    scope: Option<Arc<str>>,
    /// While a transformation runs, nodes belong to the line of the node it transforms.
    transformed: Option<Origin>,
}

thread_local! {
    static LABELS: RefCell<Labels> = const { RefCell::new(Labels { scope: None, transformed: None }) };
}

/// Runs `body` with `name` appended to the scope: nodes made inside carry `outer.name`.
///
/// ```
/// use chainrule_engine::{scope, Tensor};
/// let y = scope("encoder", || scope("fc1", || Tensor::zeros([2, 3]).matmul(&Tensor::zeros([4, 5]))));
/// assert!(y.eval().unwrap_err().to_string().ends_with("in scope encoder.fc1"));
/// ```
pub fn scope<R>(name: &str, body: impl FnOnce() -> R) -> R {
    let _restore = Restore::scope(name);
    body()
}

/// Runs a derivative rule: every node it makes belongs to `origin`, marked as backward.
pub(crate) fn on_behalf_of<R>(origin: &Origin, body: impl FnOnce() -> R) -> R {
    recorded_as(Origin { backward: true, ..origin.clone() }, body)
}

/// Runs a transformation of a node: every node it makes belongs to `origin`.
pub(crate) fn recorded_as<R>(origin: Origin, body: impl FnOnce() -> R) -> R {
    let _restore = Restore::transformed(origin);
    body()
}

/// The label as it was, put back when its body ends, also by unwinding. Its functions know no
/// body, so that there is one of each in a program, not one for every body.
enum Restore {
    Scope(Option<Arc<str>>),
    Transformed(Option<Origin>),
}

impl Restore {
    fn scope(name: &str) -> Restore {
        LABELS.with_borrow_mut(|labels| {
            let inner: Arc<str> = match &labels.scope {
                Some(outer) => format!("{outer}.{name}").into(),
                None => name.into(),
            };
            Restore::Scope(labels.scope.replace(inner))
        })
    }

    fn transformed(origin: Origin) -> Restore {
        LABELS.with_borrow_mut(|labels| Restore::Transformed(labels.transformed.replace(origin)))
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        LABELS.with_borrow_mut(|labels| match self {
            Restore::Scope(outer) => labels.scope = outer.take(),
            Restore::Transformed(outer) => labels.transformed = outer.take(),
        });
    }
}

impl Origin {
    /// The origin of a node recorded by the line at `location`.
    pub(crate) fn here(location: &'static Location<'static>) -> Origin {
        LABELS.with_borrow(|labels| match &labels.transformed {
            Some(origin) => origin.clone(),
            None => Origin { location, scope: labels.scope.clone(), backward: false, site: None },
        })
    }

    /// The same, at a place in a program's list of origins; place 0 cannot be told.
    pub(crate) fn with_site(&self, site: u32) -> Origin {
        Origin { site: NonZeroU32::new(site), ..self.clone() }
    }

    /// The place in a program's list of origins.
    pub(crate) fn site(&self) -> Option<u32> {
        self.site.map(NonZeroU32::get)
    }

    /// The source file, as the compiler names it.
    pub fn file(&self) -> &'static str {
        self.location.file()
    }

    /// The line in the source file, from 1.
    pub fn line(&self) -> u32 {
        self.location.line()
    }

    /// The scope, such as `encoder.2.attention`, if one was open.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether a derivative rule made the node, on behalf of this line.
    pub fn is_backward(&self) -> bool {
        self.backward
    }

    /// `file:line`.
    pub fn place(&self) -> impl fmt::Display + '_ {
        struct Place<'a>(&'a Origin);
        impl fmt::Display for Place<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", self.0.file(), self.0.line())
            }
        }
        Place(self)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place())?;
        if let Some(scope) = &self.scope {
            write!(f, " ({scope})")?;
        }
        if self.backward { f.write_str(" backward") } else { Ok(()) }
    }
}
