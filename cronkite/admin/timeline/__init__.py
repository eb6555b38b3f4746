"""What ran when? A page with a lane for each job, or each node, over an hour, a day or a week."""
