"""The deployment itself, T-0: did the workflow get through, and did the new revision start well?"""
