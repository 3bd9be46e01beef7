"""The four claims over seeds: runs that differ only in their seed are the sample, never the layers of one run."""
