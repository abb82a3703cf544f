"""The smoke criteria, T+0 to T+5: does the deployed revision serve its users?"""
