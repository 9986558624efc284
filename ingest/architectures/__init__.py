"""Networks that torchvision lacks, and what is known about those it has."""
