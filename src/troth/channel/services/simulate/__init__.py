"""Services on 127.0.0.1 that speak each protocol's true bytes, with evidence under development roots.

The same clients ask them as ask the real ones; the root alone tells their evidence apart. Nothing that
judges imports from here.
"""
