"""Attribution methods: one file per method."""
