"""Changes of the tables, in order. Each runs forwards on live data; `deployments.store.migrate` runs them."""
