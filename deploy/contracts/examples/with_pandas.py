"""Which places each city photographs: shares of its classified posts."""

import pandas as pd

labels = pd.read_parquet("labels")
classified = labels.dropna(subset="place")
shares = classified.groupby("city")["place"].value_counts(normalize=True)
print(shares.groupby("city").head(5).to_string())
