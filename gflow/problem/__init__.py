"""What is trained: data, network, loss, activation, and the field that they define."""
