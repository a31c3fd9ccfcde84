"""What is looked at: corpora (``ophamin.seeing.corpus``) and systems under test (``ophamin.seeing.substrate``).

Both are reached by name through ``ophamin.registry``; nothing here needs to be imported to use them.
"""

__all__: list[str] = []
