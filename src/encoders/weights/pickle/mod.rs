//! A pickle is a program for a stack machine. This one knows only what files of tensors need: it builds values and calls
//! nothing.

mod collect;
mod values;

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};

pub(super) use collect::{check_total, collect, storages_of, tensor};
pub(super) use values::{Arena, Storage, Value, View};
use values::{Global, Items, natural, view};

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
            let opcode = self.byte()?;
            if opcode == b'.' {
                let value = self.pop()?;
                ensure!(self.stack.is_empty(), "the pickle leaves more than one value");
                return Ok(value);
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> anyhow::Result<()> {
        match opcode {
            b'(' => self.push(Value::Mark),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Integer(number.into()))
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Integer(number.into()))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Integer(number.into()))
            }
            0x8a => self.long(),
            b'G' => {
                self.take(8)?;
                self.push(Value::Float)
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.text(length)
            }
            b'U' => {
                let length = self.byte()? as usize;
                self.text(length)
            }
            b')' => self.push_items(Value::Tuple, Vec::new()),
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let values = self.pop_many(n)?;
                self.push_items(Value::Tuple, values)
            }
            b't' => {
                let values = self.pop_to_mark()?;
                self.push_items(Value::Tuple, values)
            }
            b']' => self.push_items(Value::List, Vec::new()),
            b'a' => {
                let value = self.pop()?;
                self.extend_list(vec![value])
            }
            b'e' => {
                let values = self.pop_to_mark()?;
                self.extend_list(values)
            }
            b'}' => self.push_items(Value::Dict, Vec::new()),
            b's' => {
                let values = self.pop_many(2)?;
                self.extend_dict(values)
            }
            b'u' => {
                let values = self.pop_to_mark()?;
                self.extend_dict(values)
            }
            b'q' | b'r' => self.put(opcode),
            b'h' | b'j' => self.get(opcode),
            b'c' => self.global(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'Q' => self.storage(),
            other => bail!("the opcode 0x{other:02x} is not part of a file of tensors; the file is not loaded"),
        }
    }

    fn push(&mut self, value: Value) -> anyhow::Result<()> {
        self.made += 1;
        ensure!(self.made <= MOST_VALUES, "the pickle makes more than {MOST_VALUES} values");
        self.stack.push(value);
        Ok(())
    }

    fn push_items(&mut self, kind: fn(Items) -> Value, values: Vec<Value>) -> anyhow::Result<()> {
        let items = self.arena.add(values);
        self.push(kind(items))
    }

    fn pop(&mut self) -> anyhow::Result<Value> {
        match self.stack.pop() {
            None | Some(Value::Mark) => bail!("a value is missing on the stack"),
            Some(value) => Ok(value),
        }
    }

    fn pop_many(&mut self, n: usize) -> anyhow::Result<Vec<Value>> {
        let mut values = (0..n).map(|_| self.pop()).collect::<anyhow::Result<Vec<_>>>()?;
        values.reverse();
        Ok(values)
    }

    fn pop_to_mark(&mut self) -> anyhow::Result<Vec<Value>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark)).context("a mark is missing")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn take(&mut self, n: usize) -> anyhow::Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len()).context("the file is cut short")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> anyhow::Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    fn line(&mut self) -> anyhow::Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(256).position(|&byte| byte == b'\n').context("a name has no end")?;
        self.at += end + 1;
        std::str::from_utf8(&rest[..end]).context("a name is not UTF-8")
    }

    fn long(&mut self) -> anyhow::Result<()> {
        let length = self.byte()? as usize;
        let bytes = self.take(length)?;
        if length <= 8 {
            let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
            let mut wide = [if negative { 0xFF } else { 0 }; 8];
            wide[..length].copy_from_slice(bytes);
            return self.push(Value::Integer(i64::from_le_bytes(wide)));
        }
        self.push(Value::Long(Rc::new(bytes.to_vec())))
    }

    fn text(&mut self, length: usize) -> anyhow::Result<()> {
        let text = std::str::from_utf8(self.take(length)?).context("a string is not UTF-8")?;
        self.push(Value::Text(text.into()))
    }

    fn put(&mut self, opcode: u8) -> anyhow::Result<()> {
        let at = if opcode == b'q' { self.byte()?.into() } else { u32::from_le_bytes(self.array()?) };
        let value = self.stack.last().context("there is no value to remember")?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> anyhow::Result<()> {
        let at = if opcode == b'h' { self.byte()?.into() } else { u32::from_le_bytes(self.array()?) };
        let value = self.memo.get(&at).with_context(|| format!("no value was remembered as {at}"))?.clone();
        self.push(value)
    }

    fn extend_list(&mut self, values: Vec<Value>) -> anyhow::Result<()> {
        match self.stack.last() {
            Some(Value::List(list)) => self.arena.0[list.0].extend(values),
            other => bail!("values are appended to {}, which is not a list", other.unwrap_or(&Value::Mark)),
        }
        Ok(())
    }

    fn extend_dict(&mut self, values: Vec<Value>) -> anyhow::Result<()> {
        ensure!(values.len().is_multiple_of(2), "a dictionary's key has no value");
        let Some(Value::Dict(dict)) = self.stack.last() else {
            bail!("items are set on something that is not a dictionary")
        };
        self.arena.0[dict.0].extend(values);
        Ok(())
    }

    fn global(&mut self) -> anyhow::Result<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(Value::Global(Global::named(module, name)?))
    }

    fn reduce(&mut self) -> anyhow::Result<()> {
        let Value::Tuple(arguments) = self.pop()? else { bail!("the arguments of a constructor should be a tuple") };
        let Value::Global(global) = self.pop()? else { bail!("only constructors of tensors can be called") };
        let value = match (global, self.arena.of(arguments)) {
            (Global::OrderedDict, []) => return self.push_items(Value::Dict, Vec::new()),
            (Global::RebuildTensor, [storage, offset, size, stride])
            | (Global::RebuildTensorV2, [storage, offset, size, stride, _, _]) => {
                Value::Tensor(Rc::new(view(&self.arena, storage, offset, size, stride)?))
            }
            (Global::RebuildParameter, [Value::Tensor(tensor), _, _]) => Value::Tensor(tensor.clone()),
            (global, arguments) => bail!("{global:?} with {} arguments does not make a tensor", arguments.len()),
        };
        self.push(value)
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
    fn storage(&mut self) -> anyhow::Result<()> {
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
        self.push(Value::Storage(Rc::new(storage)))
    }
}
