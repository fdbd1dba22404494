//! The part of Python's pickle format (`pickletools.py` of Python lists its opcodes) that state dicts are written in.
//!
//! Values lie in one list and name each other by number, so that lists may hold themselves and nothing here calls itself. Each opcode
//! makes at most one value, and takes over what it collects, so memory stays a multiple of the pickle's size.

use std::collections::BTreeMap;

use crate::Dtype;

/// More than a net of a hundred thousand parameters needs; a byte of a pickle can fill a hundred of memory.
const MAX_VALUES: usize = 1 << 22;

/// The number of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(usize);

/// What a pickle makes.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// What the file keeps beside the pickle, by its key.
    Storage(Id),
    /// A view of a storage, by the arguments of the call that makes it.
    Tensor(Id),
    /// Of no use to a state dict: None, a truth value, a float.
    Other,
}

/// The functions and classes of Python that state dicts name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", storage) => Self::Storage(match storage.strip_suffix("Storage")? {
                "Bool" => Dtype::Bool,
                "Byte" => Dtype::U8,
                "Char" => Dtype::I8,
                "Short" => Dtype::I16,
                "Int" => Dtype::I32,
                "Long" => Dtype::I64,
                "Half" => Dtype::F16,
                "BFloat16" => Dtype::Bf16,
                "Float" => Dtype::F32,
                "Double" => Dtype::F64,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

/// What is wrong with a pickle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It calls or names what is not part of a state dict.
    Foreign(String),
    /// It is cut off or no pickle that Python would read.
    Broken(String),
}

impl From<&str> for Fault {
    fn from(problem: &str) -> Self {
        Self::Broken(problem.into())
    }
}

type Result<T, E = Fault> = std::result::Result<T, E>;

/// The values of a pickle.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle and gives the bytes behind it, too.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let mut machine = Machine { bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new() };
        while machine.step()? {
            if machine.values.len() > MAX_VALUES {
                return Err("it makes more values than any state dict".into());
            }
        }
        let root = machine.pop()?;
        Ok((Self { values: machine.values, root }, machine.bytes))
    }

    /// What the pickle as a whole is.
    pub(super) const fn root(&self) -> Id {
        self.root
    }

    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0]
    }

    pub(super) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        if let Value::Text(text) = *self.get(id) { Some(text) } else { None }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        if let Value::Int(int) = *self.get(id) { Some(int) } else { None }
    }

    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        if let Value::Tuple(items) | Value::List(items) = self.get(id) { Some(items) } else { None }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Value::Dict(entries) = self.get(id) { Some(entries) } else { None }
    }
}

/// The machine whose program a pickle is.
struct Machine<'a> {
    /// What is left of the program.
    bytes: &'a [u8],
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack to which lists of items reach down.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Takes one opcode; false when it was the last.
    fn step(&mut self) -> Result<bool> {
        let [opcode] = self.array()?;
        match opcode {
            b'.' => return Ok(false),
            // PROTO and FRAME tell a reader what it sees anyway.
            0x80 => drop(self.array::<1>()?),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Other);
            }
            b'K' => {
                let [byte] = self.array()?;
                self.push(Value::Int(byte.into()));
            }
            b'M' => {
                let int = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(int.into()));
            }
            b'J' => {
                let int = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(int.into()));
            }
            0x8a => {
                let int = self.long()?;
                self.push(Value::Int(int));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length.into())?;
            }
            0x8c | b'U' => {
                let [length] = self.array()?;
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.text(length)?;
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.list()?.push(item);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.list()?.extend(items);
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.dict()?.push((key, value));
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                let (pairs, []) = items.as_chunks() else { return Err("a key has no value".into()) };
                self.dict()?.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (&self.values[module.0], &self.values[name.0]) else {
                    return Err("a function's name is no text".into());
                };
                self.global(module, name)?;
            }
            b'R' => self.call()?,
            b'b' => self.set_state()?,
            b'Q' => {
                let id = self.pop()?;
                self.push(Value::Storage(id));
            }
            b'q' => {
                let [place] = self.array()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let [place] = self.array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            other => return Err(Fault::Broken(format!("the opcode {other:#04x} is not known"))),
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or("it is cut off")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (&taken, rest) = self.bytes.split_first_chunk().ok_or("it is cut off")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n').ok_or("it is cut off")?;
        let line = self.take(end)?;
        self.array::<1>()?;
        str::from_utf8(line).map_err(|_| "a function's name is no text".into())
    }

    /// An integer of any length, the lowest byte first, in two's complement.
    fn long(&mut self) -> Result<i64> {
        let [length] = self.array()?;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return Err("a number is too large".into());
        }
        let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut whole = [sign; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(whole))
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        let text = str::from_utf8(bytes).map_err(|_| "a text is no UTF-8")?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.len() > floor;
        self.stack.pop().filter(|_| top).ok_or_else(|| "it takes a value where there is none".into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or("it takes a list where none began")?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self) -> Result<&mut Value<'a>> {
        let id = self.stack.last().ok_or("it takes a value where there is none")?;
        Ok(&mut self.values[id.0])
    }

    fn list(&mut self) -> Result<&mut Vec<Id>> {
        if let Value::List(items) = self.top()? { Ok(items) } else { Err("it appends to something else than a list".into()) }
    }

    fn dict(&mut self) -> Result<&mut Vec<(Id, Id)>> {
        if let Value::Dict(entries) = self.top()? { Ok(entries) } else { Err("it sets an entry of something else than a dict".into()) }
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let foreign = || Fault::Foreign(format!("{}.{}", module.escape_debug(), name.escape_debug()));
        let global = Global::find(module, name).ok_or_else(foreign)?;
        self.push(Value::Global(global));
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Value::Tuple(items)) = (&self.values[function.0], &self.values[arguments.0]) else {
            return Err("it calls what is no function".into());
        };
        match (global, items.as_slice()) {
            (Global::OrderedDict, []) => self.push(Value::Dict(Vec::new())),
            (Global::OrderedDict, _) => return Err("Python 2 wrote it: load and save it with Python 3".into()),
            (Global::RebuildTensor, _) => self.push(Value::Tensor(arguments)),
            (Global::RebuildParameter, &[data, ..]) => self.stack.push(data),
            _ => return Err("it calls a function with wrong arguments".into()),
        }
        Ok(())
    }

    /// What a state dict keeps beside its entries (`_metadata`, versions of layers) is of no use here.
    fn set_state(&mut self) -> Result<()> {
        self.pop()?;
        self.dict().map(drop)
    }

    fn remember(&mut self, place: u32) -> Result<()> {
        let id = *self.stack.last().ok_or("it remembers a value where there is none")?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        let id = self.memo.get(&place).ok_or("it recalls a value that was never there")?;
        self.stack.push(*id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String> {
        let (pickle, rest) = Pickle::read(bytes)?;
        Ok(format!("{:?} {rest:?}", pickle.get(pickle.root())))
    }

    #[test]
    fn the_machine_counts_and_collects() {
        assert_eq!(read(b"\x80\x02K\x07.rest").unwrap(), "Int(7) [114, 101, 115, 116]");
        assert_eq!(read(b"\x8a\x01\xff.").unwrap(), "Int(-1) []");
        assert_eq!(read(b"\x8a\x00.").unwrap(), "Int(0) []");
        assert_eq!(read(b"(K\x01K\x02t.").unwrap(), "Tuple([Id(0), Id(1)]) []");
        assert_eq!(read(b"K\x01K\x02\x86.").unwrap(), "Tuple([Id(0), Id(1)]) []");
        assert_eq!(read(b"]q\x00h\x00a.").unwrap(), "List([Id(0)]) []", "a list within itself");
        assert_eq!(read(b"ccollections\nOrderedDict\n)R}b.").unwrap(), "Dict([]) []");
    }

    #[test]
    fn mistakes_are_told() {
        let broken = |bytes: &[u8]| match read(bytes) {
            Err(Fault::Broken(problem)) => problem,
            other => panic!("{other:?}"),
        };
        assert_eq!(broken(b""), "it is cut off");
        assert_eq!(broken(b"."), "it takes a value where there is none");
        assert_eq!(broken(b"K\x01(0."), "it takes a value where there is none");
        assert_eq!(broken(b"t"), "it takes a list where none began");
        assert_eq!(broken(b"h\x00"), "it recalls a value that was never there");
        assert_eq!(broken(b"}(K\x01u"), "a key has no value");
        assert_eq!(broken(b"X\xff\xff\xff\xff"), "it is cut off");
        assert_eq!(broken(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff"), "it is cut off");
        assert_eq!(broken(b"\x8a\x09123456789"), "a number is too large");
        assert_eq!(broken(b"i"), "the opcode 0x69 is not known");
        assert_eq!(broken(b"K\x01)R"), "it calls what is no function");
        assert_eq!(broken(&b")".repeat(MAX_VALUES + 1)), "it makes more values than any state dict");
        assert_eq!(read(b"cos\nsystem\n").unwrap_err(), Fault::Foreign("os.system".into()));
        assert_eq!(read(b"\x8c\x05posix\x8c\x06system\x93").unwrap_err(), Fault::Foreign("posix.system".into()));
    }
}
