"""Reading, checking, preprocessing and splitting of data sets."""
