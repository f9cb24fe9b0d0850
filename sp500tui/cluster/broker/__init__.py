"""The connection to the Redis or Valkey broker, its errors and its Lua scripts."""
