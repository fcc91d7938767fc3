"""What marketing asks of the ledger: every number a sum over its entries, of one moment of it."""
