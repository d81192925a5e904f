"""Networks of other projects, for those who have installed them and their weights.

Nothing here is a dependency of this project: each adapter imports its library when it is asked
for, and says in one sentence what to install and where weights go when it is not there.
"""
