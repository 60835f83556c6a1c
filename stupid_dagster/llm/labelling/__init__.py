"""Labels by a language model: what it is asked, what its answer must hold to, what is kept."""
