//! How an environment stands in TOML: `"inherit"`, or a table.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Environment;

const INHERIT: &str = "inherit";

pub(super) fn serialize<S: Serializer>(
    environment: &Option<Environment>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match environment {
        Some(environment) => environment.serialize(serializer),
        None => serializer.serialize_str(INHERIT),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Environment>, D::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Option<Environment>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("\"inherit\" or a table with allow and set")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text == INHERIT {
                Ok(None)
            } else {
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            Environment::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(Visitor)
}
