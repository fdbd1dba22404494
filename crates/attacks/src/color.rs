use bezoar_core::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A colour, as "#rrggbb".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Color(pub [u8; 3]);

impl Color {
    /// Its values on images of so many channels: red, green and blue, or their brightness (ITU-R BT.601).
    pub fn values(self, channels: usize) -> Vec<u8> {
        let Self([red, green, blue]) = self;
        let luma = (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000;
        if channels == 3 { self.0.to_vec() } else { vec![luma as u8; channels] }
    }
}

impl TryFrom<String> for Color {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let value = |at: usize| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (text.len(), text.starts_with('#'), value(1), value(3), value(5)) {
            (7, true, Some(red), Some(green), Some(blue)) => Ok(Self([red, green, blue])),
            _ => Err(Error::request(format!("{text:?} is no colour")).with_help("write it as \"#rrggbb\"")),
        }
    }
}

impl From<Color> for String {
    fn from(Color([red, green, blue]): Color) -> Self {
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

impl JsonSchema for Color {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Color".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" })
    }
}
