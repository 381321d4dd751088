//! Recursive types: boxes where a value would contain itself, and types without a finite value.

use super::{ItemId, Kind, Model, Type};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Running,
    Done,
}

/// Puts a box into each field or branch that closes a cycle. Every cycle has one such edge, so all
/// types have a finite size.
pub(super) fn add_boxes(model: &mut Model) {
    let edges: Vec<Vec<(usize, ItemId)>> = model.items.iter().map(held).collect();
    let mut visits = vec![Visit::Not; edges.len()];
    let mut boxed = Vec::new();
    for start in 0..edges.len() {
        if visits[start] != Visit::Not {
            continue;
        }
        visits[start] = Visit::Running;
        // An explicit stack, because schemas nest as deep as their limits allow.
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            let Some((place, target)) = edges[at].get(next).copied() else {
                visits[at] = Visit::Done;
                continue;
            };
            // The item stays below its target until the target is done.
            stack.push((at, next + 1));
            match visits[target.0] {
                Visit::Not => {
                    visits[target.0] = Visit::Running;
                    stack.push((target.0, 0));
                }
                // The target is on the stack, so this edge closes a cycle.
                Visit::Running => boxed.push((at, place)),
                Visit::Done => {}
            }
        }
    }
    for (item, place) in boxed {
        if let Some(ty) = model.items[item].type_mut(place) {
            ty.put_in_box();
        }
    }
}

/// Returns the positions of the types that hold an item, and the items.
fn held(item: &super::Item) -> Vec<(usize, ItemId)> {
    let types = item.types().into_iter().enumerate();
    types
        .filter_map(|(at, ty)| Some((at, ty.held()?)))
        .collect()
}

/// Returns a record each value of which contains another one without end, and the field that
/// does.
pub(super) fn endless(model: &Model) -> Option<(ItemId, String)> {
    let mut finite = vec![false; model.items.len()];
    loop {
        // Repeated, because an item can depend on a later one.
        let mut is_changed = false;
        for at in 0..finite.len() {
            let is_finite = |ty: &&Type| required(ty).is_none_or(|id| finite[id.0]);
            let item = &model.items[at];
            let is_item_finite = match &item.kind {
                // One finite branch is enough.
                Kind::Union(_) => item.types().iter().any(is_finite),
                _ => item.types().iter().all(is_finite),
            };
            if is_item_finite && !finite[at] {
                finite[at] = true;
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    let records = model
        .items
        .iter()
        .enumerate()
        .filter(|(at, _)| !finite[*at]);
    records.into_iter().find_map(|(at, item)| match &item.kind {
        Kind::Record(record) => {
            let endless = |ty: &Type| required(ty).is_some_and(|id| !finite[id.0]);
            let field = record.fields.iter().find(|field| endless(&field.ty))?;
            Some((ItemId(at), field.avro_name.clone()))
        }
        _ => None,
    })
}

/// Returns the item that each value of a type contains.
fn required(ty: &Type) -> Option<ItemId> {
    match ty {
        Type::Item(id) | Type::Boxed(id) => Some(*id),
        Type::Single(inner) => required(inner),
        _ => None,
    }
}
