//! Encoding of the JSON defaults of fields.

use crate::Schema;
use crate::codec::Encoder;
use crate::json::{Json, Member, Value};
use crate::schema::{NodeId, Record, Type};

/// Maximum nesting of values, as in the parser's check.
const DEPTH_MAX: usize = 256;

/// The reasons why a default is not encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefaultError {
    /// The value is not a value of the type.
    Invalid,
    /// The value takes more steps than are left.
    TooComplex,
}

/// Appends a default to `out` and returns it. `steps` is the number of values that may be visited.
pub(super) fn encode(
    schema: &Schema,
    node: NodeId,
    value: &Value,
    out: Vec<u8>,
    steps: &mut usize,
) -> (Vec<u8>, Result<(), DefaultError>) {
    let mut defaults = Defaults {
        schema,
        out: out.into(),
        steps,
    };
    let outcome = defaults.value(node, value, DEPTH_MAX);
    (defaults.out.into(), outcome)
}

struct Defaults<'s> {
    schema: &'s Schema,
    out: Encoder,
    steps: &'s mut usize,
}

impl<'s> Defaults<'s> {
    fn value(&mut self, node: NodeId, value: &Value, depth: usize) -> Result<(), DefaultError> {
        let depth = depth.checked_sub(1).ok_or(DefaultError::TooComplex)?;
        *self.steps = self.steps.checked_sub(1).ok_or(DefaultError::TooComplex)?;
        let schema = self.schema;
        match (&schema.node(node).kind, &value.json) {
            (Type::Null, Json::Null) => self.out.null(),
            (Type::Boolean, Json::Bool(value)) => self.out.boolean(*value),
            (Type::Int, Json::Integer(digits)) => self.out.int(parsed(digits)?),
            (Type::Long, Json::Integer(digits)) => self.out.long(parsed(digits)?),
            (Type::Float, Json::Integer(_) | Json::Float(_)) => self.out.float(as_float(value)?),
            (Type::Double, Json::Integer(_) | Json::Float(_)) => self.out.double(as_double(value)?),
            (Type::String, Json::String(text)) => self.out.string(text),
            (Type::Bytes, Json::String(text)) => self.out.bytes(&latin(text)?),
            (Type::Fixed(fixed), Json::String(text)) => {
                let mut bytes = latin(text)?;
                // Java pads and truncates, too.
                bytes.resize(fixed.size, 0);
                self.out.fixed(&bytes);
            }
            (Type::Enum(symbols), Json::String(text)) => {
                let mut names = symbols.symbols.iter();
                let position = names.position(|symbol| *symbol == *text);
                let index = position.and_then(|position| u32::try_from(position).ok());
                self.out.enum_index(index.ok_or(DefaultError::Invalid)?);
            }
            (Type::Union(branches), _) => return self.union(branches, value, depth),
            (Type::Array(item), Json::Array(values)) => {
                self.out.block(values.len());
                for value in values {
                    self.value(*item, value, depth)?;
                }
                self.out.end_blocks();
            }
            (Type::Map(item), Json::Object(members)) => {
                self.out.block(members.len());
                for Member { key, value } in members {
                    self.out.string(key);
                    self.value(*item, value, depth)?;
                }
                self.out.end_blocks();
            }
            (Type::Record(record), Json::Object(_)) => return self.record(record, value, depth),
            _ => return Err(DefaultError::Invalid),
        }
        Ok(())
    }

    /// Encodes the first branch that has the value.
    fn union(
        &mut self,
        branches: &[NodeId],
        value: &Value,
        depth: usize,
    ) -> Result<(), DefaultError> {
        for (index, branch) in (0..).zip(branches) {
            let len = self.out.len();
            self.out.union_index(index);
            match self.value(*branch, value, depth) {
                Err(DefaultError::Invalid) => self.out.truncate(len),
                outcome => return outcome,
            }
        }
        Err(DefaultError::Invalid)
    }

    fn record(
        &mut self,
        record: &'s Record,
        value: &Value,
        depth: usize,
    ) -> Result<(), DefaultError> {
        for field in &record.fields {
            let own = value.member(&field.name);
            // An omitted field has its own default.
            let value = own.or(field.default.as_ref());
            self.value(field.node, value.ok_or(DefaultError::Invalid)?, depth)?;
        }
        Ok(())
    }
}

fn parsed<N: std::str::FromStr>(digits: &str) -> Result<N, DefaultError> {
    digits.parse().map_err(|_| DefaultError::Invalid)
}

fn as_double(value: &Value) -> Result<f64, DefaultError> {
    match &value.json {
        Json::Integer(digits) => parsed(digits),
        Json::Float(float) => Ok(*float),
        _ => Err(DefaultError::Invalid),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounds to the nearest float, as Java does"
)]
fn as_float(value: &Value) -> Result<f32, DefaultError> {
    as_double(value).map(|double| double as f32)
}

/// Returns the bytes of a default: one for each character up to U+00FF.
fn latin(text: &str) -> Result<Vec<u8>, DefaultError> {
    let bytes = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)));
    bytes
        .collect::<Result<_, _>>()
        .map_err(|_| DefaultError::Invalid)
}
