"""The monitor criteria, T+5 to T+15: does the deployed revision go on to serve its users well?"""
