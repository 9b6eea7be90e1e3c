"""How judges are judged: their ratings beside those of people, and what moves them that should not."""
