"""Where a study is kept: databases that many workers share."""
