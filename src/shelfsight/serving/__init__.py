"""The two HTTP servers, and the parts that they share."""
