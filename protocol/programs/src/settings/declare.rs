//! The declaration of settings: one macro for a table of them, in which a field is a value or a table again.

use toml::Value;

use super::value::{Misfit, RawSetting, Setting};
use super::{Effect, Key};

/// Declares a table of settings: documented fields, and defaults beside them.
///
/// Before a field may stand, in this order, `#[key("name")]` if it has another name in files, `#[example("value")]` for
/// what the documented file shows where there is no default, and `#[effect(Restart)]` if a change counts at the
/// next start.
#[macro_export]
macro_rules! settings {
    ($(#[doc = $doc:literal])* $vis:vis $name:ident { $(
        $(#[doc = $about:literal])* $(#[key($key:literal)])? $(#[example($example:literal)])? $(#[effect($effect:ident)])?
        $field:ident: $type:ty = $default:expr,
    )* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name { $($(#[doc = $about])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::settings::Part for $name {
            fn visit(
                &mut self,
                table: $crate::settings::Key,
                look: &mut dyn FnMut($crate::settings::Key, &mut dyn $crate::settings::Slot),
            ) {
                $(self.$field.visit(table.with($crate::settings::Key {
                    name: $crate::settings!(@first $($key)? stringify!($field)).to_owned(),
                    about: &[$($about),*],
                    example: $crate::settings!(@first $(Some($example))? None),
                    effect: $crate::settings!(@effect $($effect)?),
                }), look);)*
            }

            fn keep(&mut self, before: &Self, _: $crate::settings::Effect) {
                $(self.$field.keep(&before.$field, $crate::settings!(@effect $($effect)?));)*
            }
        }
    };
    (@first Some($first:expr) None) => { Some($first) };
    (@first None) => { None };
    (@first $first:literal $second:expr) => { $first };
    (@first $only:expr) => { $only };
    (@effect) => { $crate::settings::Effect::Reload };
    (@effect $effect:ident) => { $crate::settings::Effect::$effect };
}

/// What a declaration is made of: a value, or a table of parts.
pub trait Part: Clone {
    /// Looks at each value, with its key; `key` is the part's own.
    fn visit(&mut self, key: Key, look: &mut dyn FnMut(Key, &mut dyn Slot));

    /// Takes every value that counts at the next start from `before`; `effect` is that of the part itself.
    fn keep(&mut self, before: &Self, effect: Effect);
}

/// Where a value stands, whatever its type.
pub trait Slot {
    /// Replaces the value.
    ///
    /// # Errors
    /// [`Misfit`]; the value stays.
    fn set(&mut self, raw: &RawSetting) -> Result<(), Misfit>;

    /// The value as a file has it.
    fn shown(&self) -> Option<Value>;
}

impl<S: Setting> Slot for S {
    fn set(&mut self, raw: &RawSetting) -> Result<(), Misfit> {
        *self = S::read(raw)?;
        Ok(())
    }

    fn shown(&self) -> Option<Value> {
        Setting::shown(self)
    }
}

impl<S: Setting + Clone> Part for S {
    fn visit(&mut self, key: Key, look: &mut dyn FnMut(Key, &mut dyn Slot)) {
        look(key, self);
    }

    fn keep(&mut self, before: &Self, effect: Effect) {
        if effect == Effect::Restart {
            self.clone_from(before);
        }
    }
}

impl Key {
    /// The key of something in this table.
    #[must_use]
    pub fn with(&self, inner: Self) -> Self {
        if self.name.is_empty() { inner } else { Self { name: format!("{}.{}", self.name, inner.name), ..inner } }
    }
}
