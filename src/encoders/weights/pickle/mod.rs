//! A pickle is a program for a stack machine. This one knows only what files of tensors need: it builds values and calls
//! nothing.

mod collect;
mod values;

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};

pub(super) use collect::{ByStorage, by_storage, check_total, collect, tensors_on};
pub(super) use values::{Arena, Value};
use values::{Global, Storage, natural, view};

/// The most values of a pickle; a real checkpoint of a thousand tensors needs some twenty thousand.
const MOST_VALUES: usize = 2_000_000;

/// Runs the pickle that begins at `at`, and moves `at` behind it.
///
/// # Errors
/// If the pickle is damaged, or does anything but build tensors.
pub fn pickle(bytes: &[u8], at: &mut usize) -> anyhow::Result<(Value, Arena)> {
    let mut machine =
        Machine { bytes, at: *at, stack: Vec::new(), memo: BTreeMap::new(), arena: Arena::default(), made: 0 };
    let value = machine.run().with_context(|| format!("at byte {}", machine.at))?;
    *at = machine.at;
    Ok((value, machine.arena))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    memo: BTreeMap<u32, Value>,
    arena: Arena,
    made: usize,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> anyhow::Result<Value> {
        ensure!(self.take(2)? == [0x80, 0x02], "a pickle of protocol 2 should begin here");
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                let value = self.pop()?;
                ensure!(self.stack.is_empty(), "the pickle leaves more than one value");
                return Ok(value);
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> anyhow::Result<()> {
        let value = match opcode {
            b'(' => Value::Mark,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool(opcode == 0x88),
            b'J' => Value::Integer((self.natural(4)? as i32).into()),
            b'K' => Value::Integer(self.natural(1)?.into()),
            b'M' => Value::Integer(self.natural(2)?.into()),
            0x8a => self.long()?,
            b'G' => self.take(8).map(|_| Value::Float)?,
            b'X' | b'T' => self.text(4)?,
            b'U' => self.text(1)?,
            b')' | 0x85..=0x87 | b't' => {
                let values = self.operands(opcode)?;
                Value::Tuple(self.arena.add(values))
            }
            b']' => Value::List(self.arena.add(Vec::new())),
            b'}' => Value::Dict(self.arena.add(Vec::new())),
            b'h' => self.remembered(1)?,
            b'j' => self.remembered(4)?,
            b'c' => Value::Global(Global::named(self.line()?, self.line()?)?),
            b'R' => self.reduce()?,
            b'Q' => self.storage()?,
            b'q' => return self.remember(1),
            b'r' => return self.remember(4),
            b'a' | b'e' | b's' | b'u' => return self.extend(opcode),
            b'b' => return self.build(),
            other => bail!("the opcode 0x{other:02x} is not part of a file of tensors; the file is not loaded"),
        };
        self.push(value)
    }

    fn push(&mut self, value: Value) -> anyhow::Result<()> {
        self.made += 1;
        ensure!(self.made <= MOST_VALUES, "the pickle makes more than {MOST_VALUES} values");
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> anyhow::Result<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => bail!("a value is missing on the stack"),
            Some(value) => Ok(value),
        }
    }

    /// The values that an opcode takes from the stack: a fixed number of them, or all behind the last mark.
    fn operands(&mut self, opcode: u8) -> anyhow::Result<Vec<Value>> {
        let n = match opcode {
            b')' => 0,
            b'a' => 1,
            b's' => 2,
            0x85..=0x87 => usize::from(opcode - 0x84),
            _ => {
                let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
                let values = self.stack.split_off(mark.context("a mark is missing")? + 1);
                self.stack.pop();
                return Ok(values);
            }
        };
        let mut values = (0..n).map(|_| self.pop()).collect::<anyhow::Result<Vec<_>>>()?;
        values.reverse();
        Ok(values)
    }

    fn take(&mut self, n: usize) -> anyhow::Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len()).context("the file is cut short")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian number of so many bytes.
    fn natural(&mut self, bytes: usize) -> anyhow::Result<u32> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn line(&mut self) -> anyhow::Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(256).position(|&byte| byte == b'\n').context("a name has no end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).context("a name is not UTF-8")
    }

    fn long(&mut self) -> anyhow::Result<Value> {
        let length = self.natural(1)? as usize;
        let bytes = self.take(length)?;
        if length > 8 {
            return Ok(Value::Long(Rc::new(bytes.to_vec())));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xFF } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        Ok(Value::Integer(i64::from_le_bytes(wide)))
    }

    /// A text behind its length, a number of so many bytes.
    fn text(&mut self, bytes: usize) -> anyhow::Result<Value> {
        let length = self.natural(bytes)? as usize;
        let text = std::str::from_utf8(self.take(length)?).context("a string is not UTF-8")?;
        Ok(Value::Text(text.into()))
    }

    fn remember(&mut self, bytes: usize) -> anyhow::Result<()> {
        let at = self.natural(bytes)?;
        let value = self.stack.last().context("there is no value to remember")?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    fn remembered(&mut self, bytes: usize) -> anyhow::Result<Value> {
        let at = self.natural(bytes)?;
        Ok(self.memo.get(&at).with_context(|| format!("no value was remembered as {at}"))?.clone())
    }

    /// Appends to the list or dictionary on top of the stack.
    fn extend(&mut self, opcode: u8) -> anyhow::Result<()> {
        let values = self.operands(opcode)?;
        let items = match (opcode, self.stack.last()) {
            (b'a' | b'e', Some(Value::List(list))) => list,
            (b'a' | b'e', other) => {
                bail!("values are appended to {}, which is not a list", other.unwrap_or(&Value::Mark))
            }
            _ if !values.len().is_multiple_of(2) => bail!("a dictionary's key has no value"),
            (_, Some(Value::Dict(dict))) => dict,
            _ => bail!("items are set on something that is not a dictionary"),
        };
        self.arena.0[items.0].extend(values);
        Ok(())
    }

    fn reduce(&mut self) -> anyhow::Result<Value> {
        let Value::Tuple(arguments) = self.pop()? else { bail!("the arguments of a constructor should be a tuple") };
        let Value::Global(global) = self.pop()? else { bail!("only constructors of tensors can be called") };
        match (global, self.arena.of(arguments)) {
            (Global::OrderedDict, []) => Ok(Value::Dict(self.arena.add(Vec::new()))),
            (Global::RebuildTensor, [storage, offset, size, stride])
            | (Global::RebuildTensorV2, [storage, offset, size, stride, _, _]) => {
                Ok(Value::Tensor(Rc::new(view(&self.arena, storage, offset, size, stride)?)))
            }
            (Global::RebuildParameter, [Value::Tensor(tensor), _, _]) => Ok(Value::Tensor(tensor.clone())),
            (global, arguments) => bail!("{global:?} with {} arguments does not make a tensor", arguments.len()),
        }
    }

    /// BUILD sets an ordered dictionary's attributes (`_metadata`): nothing that matters here.
    fn build(&mut self) -> anyhow::Result<()> {
        self.pop()?;
        match self.stack.last() {
            Some(Value::Dict(_)) => Ok(()),
            other => bail!("attributes are set on {}, which is not a dictionary", other.unwrap_or(&Value::Mark)),
        }
    }

    /// BINPERSID: ("storage", class, key, location, number of elements), and in the legacy format a view.
    fn storage(&mut self) -> anyhow::Result<Value> {
        let Value::Tuple(id) = self.pop()? else { bail!("a persistent id should be a tuple") };
        let [Value::Text(what), class, key, Value::Text(_location), elements, view @ ..] = self.arena.of(id) else {
            bail!(
                "a persistent id should have five or six parts; the file may hold whole modules, which are not loaded"
            );
        };
        ensure!(
            **what == *"storage",
            "a persistent id should be that of a storage, begins with {}",
            Value::Text(what.clone())
        );
        let Value::Global(Global::StorageClass(kind)) = class else { bail!("{class} is not a kind of storage") };
        let Value::Text(key) = key else { bail!("a storage's key should be text") };
        ensure!(matches!(view, [] | [Value::None]), "views of storages (files of 2016) are not supported");
        let storage =
            Storage { kind: *kind, key: key.to_string(), elements: natural(elements, "a number of elements")? };
        Ok(Value::Storage(Rc::new(storage)))
    }
}
