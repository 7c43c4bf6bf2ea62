"""The contacts themselves: loading them from files, and new ids for them."""
