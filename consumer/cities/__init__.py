"""The page of the cities: which places each photographs, when and in what mood, with intervals and figures."""
