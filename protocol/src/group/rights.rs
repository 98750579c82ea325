//! Who may do what to a group: the one table.

use super::action::Action;
use super::role::Role;

/// The role that the author of an action needs at least. `target` is the role of the member it is about, before it.
///
/// | action | touches no owner | touches an owner |
/// |---|---|---|
/// | add, remove, role | admin | owner |
/// | change, refresh, link, unlink | admin | |
///
/// An owner is touched if one is replaced, removed or given another role, and if the role of an owner is given. So nobody
/// gives a role above his own.
pub(super) fn needed(action: &Action, target: Option<Role>) -> Role {
    let given = match action {
        Action::Add(add) => Some(add.role),
        Action::Role(change) => Some(change.role),
        _ => None,
    };
    match (action, given.max(target)) {
        (Action::Add(_) | Action::Remove(_) | Action::Role(_), Some(Role::Owner)) => Role::Owner,
        (Action::Add(_) | Action::Remove(_) | Action::Role(_), _) => Role::Admin,
        (Action::Change(_) | Action::Refresh(_) | Action::Link(_) | Action::Unlink(_), _) => Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::action::{Add, Change, ChangeRole, Refresh, Remove, Unlink};
    use crate::ids::{Fingerprint, Head, HeadHash, LinkHash};

    const HEAD: Head = Head { seq: 0, hash: HeadHash::new([1; 32]) };
    const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

    fn add(role: Role) -> Action {
        let (user, fingerprint) = ("bob".parse().unwrap(), Fingerprint::new([1; 32]));
        Action::Add(Add { user, fingerprint, head: HEAD, role, history: None, link: None, wish: None })
    }

    fn role(role: Role) -> Action {
        Action::Role(ChangeRole { user: "bob".parse().unwrap(), role, head: HEAD, wish: None })
    }

    #[test]
    fn only_owners_touch_owners_and_nobody_gives_a_role_above_his_own() {
        for target in [None, Some(Role::Member), Some(Role::Admin), Some(Role::Owner)] {
            for given in ROLES {
                for action in [add(given), role(given)] {
                    let touched = target == Some(Role::Owner) || given == Role::Owner;
                    let least = if touched { Role::Owner } else { Role::Admin };
                    assert_eq!(needed(&action, target), least, "{target:?} becomes {given:?}");
                    assert!(needed(&action, target) >= given);
                }
            }
            let remove = Action::Remove(Remove { user: "bob".parse().unwrap(), wish: None });
            let least = if target == Some(Role::Owner) { Role::Owner } else { Role::Admin };
            assert_eq!(needed(&remove, target), least);
        }
    }

    #[test]
    fn plain_members_write_no_op() {
        let actions = [
            add(Role::Member),
            role(Role::Member),
            Action::Remove(Remove { user: "bob".parse().unwrap(), wish: None }),
            Action::Change(Change { name: None, about: None, settings: None }),
            Action::Refresh(Refresh {}),
            Action::Unlink(Unlink { hash: LinkHash::new([1; 32]) }),
        ];
        assert!(actions.iter().all(|action| needed(action, None) > Role::Member));
    }
}
