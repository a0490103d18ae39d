"""The records' contracts as schema registries take them: JSON Schemas, an AsyncAPI document, and the roles' ACLs."""
