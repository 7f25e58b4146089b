-- "ProductEmbeddings" has a further column, "ColorHistogram"; `init` adds it before it comes here.
-- Older releases do not write it, and would leave the colours of a picture that has changed. From
-- this version on they refuse to run.
COMMENT ON TABLE shelfsight."ScanMeans" IS
  'Means of scanned photos: image vectors, and colour histograms filled up with zeros';
