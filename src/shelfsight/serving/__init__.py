"""The embedding server and the scan server, and the parts that both share."""
